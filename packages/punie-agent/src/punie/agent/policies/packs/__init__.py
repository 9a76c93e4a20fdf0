"""Domain packs: a few rules for each framework, for mistakes that models make and programs can see.

Each looks only at files that import its framework. Entry points of the group `punie.policies` name
them, as they name those of other distributions.
"""
