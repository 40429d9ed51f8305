{#-
  Fails for rows that answer the same question: same entity keys, same timestamp, and the same created timestamp where there is one.
  Rows without a key or timestamp are never anybody's answer, and `not_null` finds them.
-#}
{% test unique_entity_timestamp(model, entity_keys=none, timestamp=none, created_timestamp=none) %}

{%- set view = featurestore.declared_feature_view() -%}
{%- set keys = entity_keys or view.entity_keys -%}
{%- set moment = timestamp or view.timestamp -%}
{%- set created = created_timestamp or (view.created_timestamp if not timestamp else none) -%}
{%- if execute and not keys -%}
  {{ featurestore._missing_argument(view, 'unique_entity_timestamp', 'entity_keys', 'entities') }}
{%- endif -%}
{%- if execute and not moment -%}
  {{ featurestore._missing_argument(view, 'unique_entity_timestamp', 'timestamp', 'timestamp') }}
{%- endif -%}
{%- set identity = ([keys] if keys is string else keys) + [moment] -%}
{%- set grouped = identity + ([created] if created else []) %}

select
    {{ grouped | join(', ') }},
    count(*) as rows_found
from {{ model }}
where {% for column in identity %}{{ column }} is not null{{ ' and ' if not loop.last }}{% endfor %}
group by {{ grouped | join(', ') }}
having count(*) > 1

{% endtest %}
