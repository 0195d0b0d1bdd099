"""Our own sound: arrays only, knows no notation."""
