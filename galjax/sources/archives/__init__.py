"""Survey archives: which file of which server shows a galaxy, what is in it, and how to know that it is the right one.

Nothing here has been tried against the live archives; paths and formats are those of the surveys' documents.
"""
