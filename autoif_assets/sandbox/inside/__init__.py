"""What runs on the far side: the zygote and the confined children it forks.

Loaded by a bare interpreter that imports neither the rest of this package nor any third-party
module, so nothing here may import from outside this folder except the standard library.
"""
