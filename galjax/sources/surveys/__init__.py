"""What is known of surveys: identifiers, labels, redshifts, and where their images lie."""
