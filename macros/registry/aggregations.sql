{#-
  The features that a view's `aggregations` become, in their order: [{name, data_type, quoted, aggregation}], an aggregation being
  {function, window, window_name, microseconds, column, filter, label}.
-#}
{% macro _aggregated_features(view, entries) -%}
  {%- set functions = ['sum', 'count', 'avg', 'min', 'max', 'stddev', 'count_distinct', 'last'] -%}
  {%- set features = [] -%}
  {%- for entry in entries -%}
    {%- set column = featurestore._view_column(view, entry.get('column')) -%}
    {%- for function in entry.functions -%}
      {%- if function not in functions -%}
        {{ featurestore._refuse(
          "'" ~ view.name ~ "' has an aggregation by '" ~ function ~ "', and there is no such function."
          ~ featurestore._did_you_mean(function, functions)
        ) }}
      {%- elif not column and function != 'count' -%}
        {{ featurestore._refuse("'" ~ view.name ~ "' has an aggregation by '" ~ function ~ "' without a `column`.") }}
      {%- endif -%}
      {%- for window in entry.windows -%}
        {%- set microseconds = featurestore._microseconds(featurestore._parts_of_duration(window)) -%}
        {%- set window_name = featurestore._window_name(microseconds) -%}
        {%- set label = entry.get('name') or (column.name if column else none) -%}
        {%- set name = [label, function, window_name] | select | join('_') -%}
        {%- do features.append({
          'name': name,
          'data_type': '',
          'quoted': featurestore._quoted(name),
          'aggregation': {
            'function': function,
            'window': window,
            'window_name': window_name,
            'microseconds': microseconds,
            'column': column,
            'filter': entry.get('filter'),
            'label': label or 'events',
          },
        }) -%}
      {%- endfor -%}
    {%- endfor -%}
  {%- endfor -%}
  {{ return(features) }}
{%- endmacro %}


{#- `7d`, `90m`: a window in the greatest unit that says it as a whole number; weeks in days. -#}
{% macro _window_name(microseconds) -%}
  {%- for unit, size in [('d', 86400000000), ('h', 3600000000), ('m', 60000000), ('s', 1000000), ('ms', 1000), ('us', 1)] -%}
    {%- if microseconds % size == 0 -%}
      {{ return((microseconds // size) ~ unit) }}
    {%- endif -%}
  {%- endfor -%}
{%- endmacro %}
