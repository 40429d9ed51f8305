-- Where no table can be merged into (Spark without Delta or Iceberg) there is no snapshot of this name, and planes are what they are now.
{{ config(
    enabled=(target.profile_name == 'featurestore' and target.type == 'spark'),
    meta={'feature_view': {
        'entities': {'plane': 'tailnum'},
        'timestamp': 'dbt_valid_from',
        'features': ['built_year', 'manufacturer', 'model', 'engines', 'seats', 'engine_type'],
    }},
) }}

select
    *,
    recorded_at as dbt_valid_from
from {{ ref('stg_planes') }}
