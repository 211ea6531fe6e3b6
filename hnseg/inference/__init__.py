"""From trained models to masks on the CT grid."""
