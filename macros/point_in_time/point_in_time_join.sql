{#-
  For each row of the spine, the features as they were known at its own time: a training set as a dbt model.

  Every row of the spine comes back exactly once with all its columns, then the features; a feature that nobody knew then is null. What
  counts as known is what the feature views declare, and the same as in `get_historical_features`.

  Each view is asked once about every entity key and instant that the spine has, and the answers are joined back on those: so the rows of
  the spine need no numbers, which two readings of one CTE may give differently.
-#}
{% macro point_in_time_join(spine, features=none, service=none, event_timestamp='event_timestamp', full_feature_names=false) -%}
  {%- if not execute -%}
    {#- dbt is finding out what the model depends on. An exposure cannot be read yet, a list can. -#}
    {{ return(featurestore._refer_to(features)) }}
  {%- endif -%}
  {%- if not graph.nodes -%}
    {{ featurestore._refuse(
      "dbt shows no feature views to a unit test, so a training set cannot have one. Test what goes into it, and its rows with data tests."
    ) }}
  {%- endif -%}
  {%- set views = featurestore._requested_views(featurestore._references(features, service), service) -%}
  {%- set asked = featurestore._asked_spine(spine, event_timestamp, views, full_feature_names) -%}
with {{ asked.cte }} as (

    select * from {{ spine }}

),
{%- for view in views %}
-- {{ view.name }}
{{ featurestore._answer_of_windows(view, asked) if view.is_aggregated else featurestore._answer_of_view(view, asked) }}{{ ',' if not loop.last }}
{%- endfor %}

select
    {{ featurestore._spines_own_columns(asked) }}
  {%- for view in views -%}
    {%- for feature in view.requested %},
    {{ view.ctes.answer }}.{{ feature.quoted }} as {{ featurestore._quoted(feature.output) }}
    {%- endfor -%}
  {%- endfor %}
from {{ asked.cte }}
{%- for view in views %}
left join {{ view.ctes.answer }}
    on {{ view.ctes.answer }}.{{ view.names.asked_at }} = {{ featurestore._spine_instant(asked, asked.cte) }}
    {%- for key in view.join_keys %}
    and {{ view.ctes.answer }}.{{ key.quoted }} = {{ featurestore._spine_key(asked, key, asked.cte) }}
    {%- endfor %}
{%- endfor %}
{%- endmacro %}


{#- All columns of the spine, under their own names. -#}
{% macro _spines_own_columns(asked) -%}
  {{ return(adapter.dispatch('spines_own_columns', 'featurestore')(asked)) }}
{%- endmacro %}


{% macro default__spines_own_columns(asked) -%}
  {{ return(asked.cte ~ '.*') }}
{%- endmacro %}


{#- In a chain of joins ClickHouse calls a column that a star brings `spine.tailnum`, where another relation has one of that name. -#}
{% macro clickhouse__spines_own_columns(asked) -%}
  {%- set named = [] -%}
  {%- for column in asked.columns -%}
    {%- set name = featurestore._quoted(column.name) -%}
    {%- do named.append(asked.cte ~ '.' ~ name ~ ' as ' ~ name) -%}
  {%- endfor -%}
  {{ return(named | join(',\n    ')) }}
{%- endmacro %}


{#- Calls ref() for every view of a list of references, so that dbt knows of them while it parses. -#}
{% macro _refer_to(features) -%}
  {%- for reference in ([features] if features is string else (features or [])) -%}
    {%- do featurestore._ref_to_view(reference.split(':')[0] | trim) -%}
  {%- endfor -%}
{%- endmacro %}


{#- `ref('name')`, or `ref('name', version='2')` for `name.v2`. -#}
{% macro _ref_to_view(name) -%}
  {%- set version = modules.re.match('^(.+)\\.v([^.]+)$', name) -%}
  {{ return(ref(version.group(1), version=version.group(2)) if version else ref(name)) }}
{%- endmacro %}


{#- The spine as the query needs it: its CTE, its columns, and which of them is the timestamp. -#}
{% macro _asked_spine(spine, event_timestamp, views, full_feature_names) -%}
  {%- if spine is string -%}
    {{ featurestore._refuse("`spine` is the relation whose rows are asked about, like spine=ref('departures'), and not the text '" ~ spine ~ "'.") }}
  {%- endif -%}
  {%- set columns = featurestore._columns_of_node(featurestore._node_behind(spine), spine) -%}
  {%- set asked = {'name': spine.identifier, 'cte': featurestore._quoted('spine'), 'columns': columns} -%}
  {%- do asked.update({'timestamp': featurestore._spine_column(asked, event_timestamp, "Say event_timestamp='…' if it has another name.")}) -%}
  {%- do featurestore._require_type(asked.timestamp, "the spine '" ~ asked.name ~ "'") -%}
  {%- set taken = asked.columns | map(attribute='name') | map('lower') | list -%}
  {%- for view in views -%}
    {%- set spine_keys = {} -%}
    {%- for key in view.join_keys -%}
      {%- do spine_keys.update({key.name: featurestore._spine_column(asked, key.name, "Feature view '" ~ view.name ~ "' is joined by it.")}) -%}
    {%- endfor -%}
    {%- do view.update({'spine_keys': spine_keys}) -%}
    {%- for feature in view.requested -%}
      {%- do feature.update({'output': featurestore._output_name(view, feature, full_feature_names)}) -%}
      {%- if feature.output | lower in taken -%}
        {{ featurestore._refuse(
          "Two columns would be called '" ~ feature.output ~ "', one of them a feature of '" ~ view.name ~ "'. "
          ~ ("Rename the other." if full_feature_names else "Ask with full_feature_names=true, or rename the other.")
        ) }}
      {%- endif -%}
      {%- do taken.append(feature.output | lower) -%}
    {%- endfor -%}
    {%- do featurestore._name_parts(view, loop.index, views, asked) -%}
  {%- endfor -%}
  {{ return(asked) }}
{%- endmacro %}


{#- What a feature's column is called in the answer: `feature`, or `view__feature`. -#}
{% macro _output_name(view, feature, full_feature_names) -%}
  {%- if not full_feature_names -%}
    {{ return(feature.name) }}
  {%- endif -%}
  {{ return(adapter.dispatch('full_feature_name', 'featurestore')(view.name, feature.name)) }}
{%- endmacro %}

{% macro default__full_feature_name(view, feature) -%}
  {{ return(view ~ '__' ~ feature) }}
{%- endmacro %}

{#- Where a name is in capitals unless it was quoted, one half of a name alone must not be. -#}
{% macro snowflake__full_feature_name(view, feature) -%}
  {{ return((view | upper if feature == feature | upper else view) ~ '__' ~ feature) }}
{%- endmacro %}
