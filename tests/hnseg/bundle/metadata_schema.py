"""The rules for ``metadata.json`` as the MONAI Bundle Specification states them, as a JSON schema.

MONAI's own schema is on the network, where ``monai.bundle verify_metadata`` takes it from. This one is written from the
text of the specification (https://docs.monai.io/en/stable/mb_specification.html), so that the tests need no network.
"""

TEXT = {"type": "string", "minLength": 1}
TEXTS = (
    *("name", "task", "description", "authors", "copyright", "intended_use"),
    *("data_source", "data_type", "image_classes", "label_classes", "pred_classes"),
)
VERSION = {"type": "string", "pattern": r"^\d+"}
VERSIONS = {"type": "object", "additionalProperties": TEXT}
TENSOR = {
    "type": "object",
    "required": [
        *("type", "format", "modality", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data"),
        "channel_def",
    ],
    "properties": {
        "type": {"enum": ["image", "series", "tuples", "probabilities"]},
        "format": {"enum": ["magnitude", "hounsfield", "kspace", "raw", "labels", "classes", "segmentation"]},
        "modality": TEXT,
        "num_channels": {"type": "integer", "minimum": 1},
        "spatial_shape": {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1, "maxItems": 3},
        "dtype": {"enum": ["float16", "float32", "float64", "uint8", "int16", "int32"]},
        "value_range": {
            "type": "array",
            "items": {"type": "number"},
            "anyOf": [{"maxItems": 0}, {"minItems": 2, "maxItems": 2}],
        },
        "is_patch_data": {"type": "boolean"},
        "channel_def": {
            "type": "object",
            "patternProperties": {"^[0-9]+$": TEXT},
            "additionalProperties": False,
            "minProperties": 1,
        },
    },
}
TENSORS = {"type": "object", "additionalProperties": TENSOR, "minProperties": 1}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": [
        *("schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"),
        *("task", "description", "authors", "copyright", "network_data_format"),
    ],
    "properties": {
        "schema": {"type": "string", "pattern": "^https://.*[.]json$"},
        "version": {"type": "string", "pattern": r"^\d+[.]\d+[.]\d+"},
        "changelog": VERSIONS,
        "monai_version": VERSION,
        "pytorch_version": VERSION,
        "numpy_version": VERSION,
        "required_packages_version": VERSIONS,
        "optional_packages_version": VERSIONS,
        **dict.fromkeys(TEXTS, TEXT),
        "references": {"type": "array", "items": TEXT},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": TENSORS, "outputs": TENSORS},
        },
    },
}
