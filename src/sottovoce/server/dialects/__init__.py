"""The wires of other servers, mapped onto our jobs, so that their clients can use this one unchanged."""
