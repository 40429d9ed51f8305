{#- A SQL expression moved on by a duration, written as everywhere else: `7 days`, `1 day 12 hours`, `90m`. -#}
{% macro add_duration(instant, duration) -%}
  {{ return(adapter.dispatch('add_duration', 'featurestore')(instant, featurestore._parts_of_duration(duration))) }}
{%- endmacro %}

{% macro default__add_duration(instant, parts) -%}
  {%- set moved = namespace(instant=instant) -%}
  {%- for part in parts -%}
    {%- set moved.instant = dbt.dateadd(part.unit, part.amount, moved.instant) | trim -%}
  {%- endfor -%}
  {{ return(moved.instant) }}
{%- endmacro %}

{#- dbt's own macro loses microseconds there, and a day of an interval is one of the session's calendar. -#}
{% macro spark__add_duration(instant, parts) -%}
  {{ return('timestamp_micros(unix_micros(' ~ instant ~ ') + ' ~ featurestore._microseconds(parts) ~ 'L)') }}
{%- endmacro %}


{#- A duration as [{amount, unit}], in units that every warehouse has. -#}
{% macro _parts_of_duration(duration) -%}
  {%- set units = {
    'microsecond': 'microsecond', 'us': 'microsecond',
    'millisecond': 'millisecond', 'ms': 'millisecond',
    'second': 'second', 's': 'second',
    'minute': 'minute', 'min': 'minute', 'm': 'minute',
    'hour': 'hour', 'h': 'hour',
    'day': 'day', 'd': 'day',
    'week': 'week', 'w': 'week',
  } -%}
  {%- set text = duration | string | lower | trim -%}
  {%- set parts = [] -%}
  {%- if not modules.re.match('^(\\d+\\s*[a-z]+\\s*)+$', text) -%}
    {{ featurestore._no_duration(duration) }}
  {%- endif -%}
  {%- for amount, word in modules.re.findall('(\\d+)\\s*([a-z]+)', text) -%}
    {%- set unit = units.get(word) or units.get(word[:-1] if word.endswith('s') else word) -%}
    {%- if not unit -%}
      {{ featurestore._no_duration(duration) }}
    {%- endif -%}
    {%- do parts.append({'amount': amount | int, 'unit': unit}) -%}
  {%- endfor -%}
  {{ return(parts) }}
{%- endmacro %}


{#- How many microseconds those parts are together. -#}
{% macro _microseconds(parts) -%}
  {%- set sizes = {
    'microsecond': 1,
    'millisecond': 1000,
    'second': 1000000,
    'minute': 60000000,
    'hour': 3600000000,
    'day': 86400000000,
    'week': 604800000000,
  } -%}
  {%- set total = namespace(microseconds=0) -%}
  {%- for part in parts -%}
    {%- set total.microseconds = total.microseconds + part.amount * sizes[part.unit] -%}
  {%- endfor -%}
  {{ return(total.microseconds) }}
{%- endmacro %}


{% macro _no_duration(text) -%}
  {%- if execute -%}
    {{ exceptions.raise_compiler_error(
      "'" ~ text ~ "' is no duration. Write a whole number and a unit, like '7 days', '12 hours' or '90 minutes'."
    ) }}
  {%- endif -%}
{%- endmacro %}
