"""What must hold before the stack starts, a plain line for each thing that does not. Standard library only."""
