{#-
  A column as a timestamp without zone, in UTC: zoned values are converted, others read as UTC, dates as midnight.

  Which it is, the warehouse says, so `relation` is the built model that has the column.
-#}
{% macro utc_instant(column, relation) -%}
  {{ return(adapter.dispatch('utc_instant', 'featurestore')(column, relation)) }}
{%- endmacro %}

{% macro default__utc_instant(column, relation) -%}
  {%- set found = namespace(type='') -%}
  {%- if execute and relation -%}
    {%- for candidate in adapter.get_columns_in_relation(relation) -%}
      {%- if candidate.name | lower == column | lower -%}
        {%- set found.type = candidate.data_type | lower -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {%- if 'with time zone' in found.type or 'timestamptz' in found.type -%}
    {{ return('(' ~ column ~ " at time zone 'UTC')") }}
  {%- endif -%}
  {{ return('cast(' ~ column ~ ' as timestamp)') }}
{%- endmacro %}
