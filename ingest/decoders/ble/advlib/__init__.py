"""Manufacturer data of makers for industry and buildings, under the names that reelyActive's advlib gives their values.

In: what stands behind a company id. Out: values; None for what is not that maker's. Formats: as
advlib-ble-manufacturers reads them, and the makers' own documents that it names.
"""
