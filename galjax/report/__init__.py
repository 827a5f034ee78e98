"""What people look at: one self-contained page, and the figures in it."""
