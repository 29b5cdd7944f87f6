"""The demo: three simulated districts, synced into SQL by the real stack."""
