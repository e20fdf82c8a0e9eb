"""FVD, IS, KVD, CD-FVD and CLIPSIM of any two folders of videos."""
