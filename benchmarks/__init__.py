"""What ``make bench`` runs: the equation beside what else could stand in its place, and the video loader."""

from sketch2video.tracking.environment import quiet

quiet()
