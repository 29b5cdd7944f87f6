"""The whole stack on one machine: starts and supervises Redis, worker, beat and Flower."""
