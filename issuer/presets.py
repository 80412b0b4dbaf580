"""Reads the ecosystem presets that come with the program (`specs/profiles/*.yaml`) for the issuer."""

from functools import lru_cache
from importlib import resources

from specs.profiles import FULL_PROFILES, OVERLAYS, Profile
from specs.profiles.reading import parse_profile

PRESETS = (*FULL_PROFILES, *OVERLAYS)


class UnknownPreset(ValueError):
    """There is no preset of this name."""


@lru_cache
def load_preset(name: str) -> Profile:
    """A preset by its name.

    Raises:
        UnknownPreset: there is none of this name.
    """
    if name not in PRESETS:
        raise UnknownPreset(f"no preset {name}; there are {', '.join(PRESETS)}")
    folder = resources.files("specs.profiles")
    texts = {each: (folder / f"{each}.yaml").read_text(encoding="utf-8") for each in {name, *FULL_PROFILES}}
    return parse_profile(texts[name], parents={each: texts[each] for each in FULL_PROFILES})
