{#-
  Fails for rows whose timestamp plus available_after is still to come. Such a row was written before it could be complete: it claims
  an event that has not happened, or sums up a day that is not over and would count tomorrow with the values it had today.
-#}
{% test not_from_the_future(model, timestamp=none, available_after=none) %}

{%- set view = featurestore.declared_feature_view() -%}
{%- set moment = timestamp or view.timestamp -%}
{%- if execute and not moment -%}
  {{ featurestore._missing_argument(view, 'not_from_the_future', 'timestamp', 'timestamp') }}
{%- endif -%}
{%- set instant = featurestore.utc_instant(moment, view.relation) -%}
{%- set delay = available_after or view.available_after %}

select *
from {{ model }}
where {{ featurestore.add_duration(instant, delay) if delay else instant }} > {{ featurestore.utc_now() }}

{% endtest %}
