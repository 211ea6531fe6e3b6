"""Standardized uptake values: from the header of a PET to the factors of its values. No I/O, no pydicom.

:mod:`~hnseg.suv.pet_header` holds what a SUV depends on, :mod:`~hnseg.suv.overrides` what a table says instead,
:mod:`~hnseg.suv.reference_time` the time that the values are corrected to, :mod:`~hnseg.suv.dose` the activity left at
that time, :mod:`~hnseg.suv.body_size` what it is divided by, and :mod:`~hnseg.suv.conversion` puts them together;
:mod:`~hnseg.suv.plausibility` notes what is unlikely.
"""
