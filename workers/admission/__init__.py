"""A worker with a free slot takes the most urgent message for which there is a permit."""
