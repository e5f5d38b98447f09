"""nginx's features: what they are is in feature.py, and a file for each kind has them."""

import features_access
import features_bodies
import features_handlers
import features_others
from feature import UPSTREAM, Feature

FEATURES = [*features_handlers.FEATURES, *features_access.FEATURES, *features_bodies.FEATURES, *features_others.FEATURES]
BY_NAME = {feature.name: feature for feature in FEATURES}
