"""hnseg: head-and-neck tumor (GTVp) and lymph-node (GTVn) segmentation in FDG-PET/CT.

Check → split → prepare → train → predict → evaluate → report; each verb is a function in the module of its name
and a command of ``hnseg``. Conventions of arrays and coordinates: :mod:`hnseg.images.geometry`.
"""
