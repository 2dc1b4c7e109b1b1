"""The rules of leaderboards: pure functions over values, without files, sockets, SQL, clock or framework."""
