"""What a user decides: plain dataclasses whose fields are flags, and how they are written down and read back."""
