"""Pure functions on sound: arrays in, arrays out."""
