"""What results say: tables, which resolutions are usable, published figures, phase, instruments, numbers in words."""
