"""Catalogues: how a folder of galaxies is spoiled, and what is said."""

import gzip
import os
import shutil

import numpy as np
from astropy.io import fits
from astropy.table import Table

from tests.bad_input.making import FITS, GOOD, HEADER, save_fits


def table_with(**changes):
    """Columns of a good catalogue, some changed; None takes one out."""
    columns = {
        "OBJID": np.arange(GOOD),
        "SPIRAL": (np.arange(GOOD) % 2 == 0).astype(int),
        "ELLIPTICAL": np.arange(GOOD) % 2,
    } | changes
    return Table({name: column for name, column in columns.items() if column is not None})


def catalogue(table, ending="fits"):
    """How to put another catalogue into a folder."""

    def spoil(folder):
        (folder / "catalogue.csv").unlink()
        if isinstance(table, bytes):
            (folder / f"catalogue.{ending}").write_bytes(table)
        else:
            table_format = {"csv": "ascii.csv", "ecsv": "ascii.ecsv", "fits": "fits", "vot": "votable"}[ending]
            table.write(folder / f"catalogue.{ending}", format=table_format)

    return spoil


def rows(*lines, header=HEADER):
    return catalogue("\n".join([header, *lines]).encode() + b"\n", "csv")


def votable(inside):
    return catalogue(f'<?xml version="1.0"?>{inside}'.encode(), "vot")


STREAM = (
    '<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="OBJID" datatype="int"/><DATA><BINARY>'
    '<STREAM href="file:///etc/passwd"/></BINARY></DATA></TABLE></RESOURCE></VOTABLE>'
)
VOTABLE_TWICE = (
    '<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="OBJID" datatype="int"/><FIELD name="SPIRAL" datatype="int"/>'
    '<FIELD name="SPIRAL" datatype="int"/><DATA><TABLEDATA><TR><TD>1</TD><TD>1</TD><TD>0</TD></TR></TABLEDATA></DATA></TABLE>'
    "</RESOURCE></VOTABLE>"
)
ECSV_TWICE = b"""# %ECSV 1.0
# ---
# datatype:
# - {name: OBJID, datatype: int64}
# - {name: SPIRAL, datatype: int64}
# - {name: SPIRAL, datatype: int64}
OBJID SPIRAL SPIRAL
1 1 0
"""
LAUGHS = '<!DOCTYPE V [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><VOTABLE>&b;</VOTABLE>'
TABLE_BYTES = save_fits(fits.PrimaryHDU(), fits.table_to_hdu(table_with()))
# Catalogues: how the folder is spoiled, and what is said.
CATALOGUES = {
    "absent": (lambda f: (f / "catalogue.csv").unlink(), "The sample has no labels, so no class can be chosen from it"),
    "a folder": (lambda f: ((f / "catalogue.csv").unlink(), (f / "catalogue.csv").mkdir()), "The sample has no labels"),
    "a pipe": (lambda f: ((f / "catalogue.csv").unlink(), os.mkfifo(f / "catalogue.csv")), "The sample has no labels"),
    "two of them": (lambda f: (f / "catalogue.ecsv").touch(), r"has catalogue\.csv and catalogue\.ecsv; keep one"),
    "no folder of images": (lambda f: shutil.rmtree(f / "images"), "has no folder images/; it must hold one file"),
    "images is a file": (lambda f: (shutil.rmtree(f / "images"), (f / "images").touch()), "has no folder images/"),
    "empty file": (catalogue(b"", "csv"), r"catalogue\.csv (cannot be read as csv|has no rows)"),
    "empty ecsv": (catalogue(b"", "ecsv"), r"catalogue\.ecsv cannot be read as ecsv"),
    "0 rows": (rows(), r"catalogue\.csv has no rows\. Give a table"),
    "0 rows of fits": (catalogue(table_with()[:0]), r"catalogue\.fits has no rows"),
    "missing id column": (
        rows("1,1,0,0", header="N,SPIRAL,ELLIPTICAL,UNCERTAIN"),
        "none of the id columns .*--id-column",
    ),
    "commands to the terminal": (
        rows("1,1,0,0", header="OBJID,S\x1b[2J,ELLIPTICAL,UNCERTAIN"),
        r"columns are OBJID, S\\x1b\[2J,",
    ),
    "renamed class column": (
        rows("1,1,0,0", header="OBJID,S,ELLIPTICAL,UNCERTAIN"),
        "no class column 'SPIRAL'; its columns are OBJID, S",
    ),
    "duplicate column": (rows("1,1,0,0", header="OBJID,SPIRAL,ELLIPTICAL,Spiral"), "several columns called 'SPIRAL'"),
    "duplicate column of ecsv": (catalogue(ECSV_TWICE, "ecsv"), r"catalogue\.ecsv has several columns called 'SPIRAL'"),
    "duplicate column of votable": (votable(VOTABLE_TWICE), r"catalogue\.vot has several columns called 'SPIRAL'"),
    "several tables": (catalogue(TABLE_BYTES + TABLE_BYTES[2880:]), "it holds 2 tables"),
    "too many cells": (rows("1,1,0,0,5,6"), r"catalogue\.csv cannot be read as csv"),
    "names lack": (
        catalogue(b"0,1,0,0\n1,0,1,0\n", "csv"),
        "its first line holds numbers, not the names of the columns; write them above it",
    ),
    "too few cells between spaces": (
        rows("0 1 0 0", "1 0 1", header=HEADER.replace(",", " ")),
        "row 2 has 3 cells where the line of names has 4",
    ),
    "ids beside other names": (
        rows("sdss_1,1,0,0", "sdss_2,0,1,0"),
        r"ids are like sdss_1, and files like 0\.npy\. Call each file by its id",
    ),
    "an endless id": (rows("x" * 2000 + ",1,0,0"), "column 'OBJID' of catalogue.csv has a cell of 2000 characters"),
    "open quote": (rows('1,"1,0,0'), r"catalogue\.csv"),
    "ids as floats": (
        catalogue(table_with(OBJID=np.arange(GOOD) + 2.0**53)),
        "holds floating-point numbers, which lose digits",
    ),
    "rounded ids": (rows("5.87727E+17,1,0,0"), r"holds rounded numbers such as 5\.87727E\+17"),
    "ids beyond int64": (
        catalogue(table_with(OBJID=np.full(GOOD, 2**63 + 5, np.uint64))),
        r"numbers above 2\^63; write them as text",
    ),
    "ids of several numbers": (
        catalogue(table_with(OBJID=np.ones((GOOD, 2), int))),
        r"column 'OBJID' of catalogue\.fits is of type >i8 and shape \(8, 2\)",
    ),
    "ids NaN": (catalogue(table_with(OBJID=np.full(GOOD, np.nan))), "holds floating-point numbers"),
    "flags NaN": (catalogue(table_with(SPIRAL=np.full(GOOD, np.nan))), "No galaxy .* a class flag is missing"),
    "flags of several numbers": (
        catalogue(table_with(SPIRAL=np.ones((GOOD, 3)))),
        "column 'SPIRAL' .*one number or text per row is needed",
    ),
    "flags of mixed types": (rows("0,yes,1.5,", "1,?,0,[]"), "No galaxy .* a class flag is neither 0 nor 1"),
    "redshifts of several numbers": (
        catalogue(table_with(z=np.ones((GOOD, 2)))),
        "column 'z' .*one number or text per row",
    ),
    "one class only": (
        catalogue(table_with(SPIRAL=np.ones(GOOD, int), ELLIPTICAL=np.zeros(GOOD, int))),
        "there are 8 spiral, 0 elliptical",
    ),
    "ids of no image": (rows("100,1,0,0", "101,0,1,0"), "No galaxy .* no image file"),
    "not UTF-8": (
        catalogue(HEADER.encode() + b"\n\xff\0\xfe,1,0,0\n", "csv"),
        r"catalogue\.csv cannot be read as csv: 'utf-8'",
    ),
    "cut off UTF-16": (
        catalogue(f"{HEADER}\n1,1,0,0\n".encode("utf-16")[:-1], "csv"),
        r"catalogue\.csv cannot be read as csv: 'utf-16",
    ),
    "cut off fits": (catalogue(TABLE_BYTES[:-2880]), r"catalogue\.fits cannot be read as fits: it is cut off"),
    "absurd number of columns": (
        catalogue(TABLE_BYTES.replace(b"TFIELDS =                    3", b"TFIELDS =           4000000000")),
        "TFIELDS is '4000000000'",
    ),
    "absurd number of rows": (
        catalogue(TABLE_BYTES.replace(b"NAXIS2  =                    8", b"NAXIS2  =          99999999999")),
        "it is cut off",
    ),
    "fits without a table": (catalogue(FITS), r"catalogue\.fits cannot be read as fits"),
    "gzip": (catalogue(gzip.compress(bytes(100_000)), "csv"), r"catalogue\.csv (cannot be read as csv|has no)"),
    "gzip as votable": (catalogue(gzip.compress(STREAM.encode()), "vot"), r"catalogue\.vot cannot be read as votable"),
    "votable with rows elsewhere": (votable(STREAM), "its rows are in another file"),
    "votable of entities": (votable(LAUGHS), "it defines entities"),
    "votable without a table": (votable("<VOTABLE/>"), r"catalogue\.vot cannot be read"),
    "ecsv that asks for code": (
        catalogue(
            b"# %ECSV 1.0\n# ---\n# meta: !!python/object/apply:os.mkdir ['pickle-was-loaded']\nOBJID\n1\n", "ecsv"
        ),
        r"catalogue\.ecsv cannot be read as ecsv",
    ),
    "no folder": (lambda f: shutil.rmtree(f), "--data .* is neither 'simulated' nor an existing folder or file"),
    "nothing in the folder": (lambda f: (shutil.rmtree(f), f.mkdir()), "has no catalogue"),
}
