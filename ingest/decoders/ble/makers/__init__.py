"""One file a maker, or a few makers: what their adverts say.

In: an `Advert` and the bytes of a company or a service. Out: a `Reading`, or None where it is not theirs. Layouts are
facts found in the makers' documents and in the open decoders named in each file.
"""
