"""The HTTP door: from requests to actions and from outcomes to answers."""
