"""What a graph costs and how it is made up: functions that read a graph and change nothing."""
