"""Beat's tasks, and the heartbeats: recovery, health, key rotation, sealing of the audit log."""
