"""The routes of the native API; each takes the request apart, asks the studio and shows the answer."""
