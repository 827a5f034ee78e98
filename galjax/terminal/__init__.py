"""What a person at a terminal sees and presses: progress, and signals."""
