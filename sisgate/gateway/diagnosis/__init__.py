"""What is wrong with an installation, and what helps: the checks of `sisgate doctor`."""
