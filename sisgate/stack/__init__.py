"""The whole stack on one machine: Redis, worker, beat and Flower, started and kept running."""
