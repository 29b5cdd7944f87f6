"""The checks of `sisgate doctor`."""
