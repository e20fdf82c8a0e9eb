"""What ``make bench`` runs: the equation beside what else could stand in its place."""

from sketch2video.tracking.environment import quiet

quiet()
