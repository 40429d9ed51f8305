{#-
  Fails when the newest row is older than `within`, seen from now or from `as_of` (text, read as UTC; rows after it are left out), and
  when there is none at all. A row exactly that old is fresh.
-#}
{% test fresh_within(model, within, timestamp=none, as_of=none) %}

{%- set view = featurestore.declared_feature_view() -%}
{%- set moment = timestamp or view.timestamp -%}
{%- if execute and not moment -%}
  {{ featurestore._missing_argument(view, 'fresh_within', 'timestamp', 'timestamp') }}
{%- endif -%}
{%- set instant = featurestore.utc_instant(moment, view.relation) -%}
{%- set seen_from = "cast('" ~ as_of ~ "' as timestamp)" if as_of else featurestore.utc_now() %}

select newest
from (
    select max({{ instant }}) as newest
    from {{ model }}
    where {{ instant }} <= {{ seen_from }}
) as newest_row
where newest is null or {{ featurestore.add_duration('newest', within) }} < {{ seen_from }}

{% endtest %}
