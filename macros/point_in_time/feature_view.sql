{#-
  A feature view as the join reads it, of an entry of dbt's graph: what the model declares, with the columns that it names as
  [{name, data_type, quoted}].
-#}
{% macro _feature_view(node) -%}
  {%- set declared = featurestore._declared_by(node) -%}
  {%- set relation = featurestore._history_relation(node) -%}
  {%- set columns = featurestore._columns_of_node(node, relation) -%}
  {%- set view = {
    'name': declared.name,
    'columns': columns,
    'columns_known': columns | length > 0,
    'ttl': declared.ttl,
    'available_after': declared.available_after,
    'as_known': declared.late_data == 'as_known',
    'relation': relation,
    'on_demand': declared.on_demand,
  } -%}
  {%- if not declared.entity_keys -%}
    {{ featurestore._refuse("'" ~ view.name ~ "' names no entity. Say what its rows describe, like `entities: {customer: customer_id}`.") }}
  {%- elif not declared.timestamp -%}
    {{ featurestore._refuse("'" ~ view.name ~ "' names no timestamp. Say when a row became true, like `timestamp: ordered_at`.") }}
  {%- endif -%}
  {%- set keys = [] -%}
  {%- for name in declared.entity_keys -%}
    {%- do keys.append(featurestore._view_column(view, name)) -%}
  {%- endfor -%}
  {%- do view.update({
    'join_keys': keys,
    'timestamp': featurestore._view_column(view, declared.timestamp),
    'created_timestamp': featurestore._view_column(view, declared.created_timestamp),
    'valid_to': featurestore._view_column(view, declared.valid_to),
    'is_deleted': featurestore._view_column(view, declared.is_deleted),
  }) -%}
  {%- for instant in [view.timestamp, view.created_timestamp, view.valid_to] | select -%}
    {%- do featurestore._require_type(instant, "feature view '" ~ view.name ~ "'") -%}
  {%- endfor -%}
  {%- do view.update({
    'is_aggregated': declared.aggregations is not none,
    'features': (
      featurestore._features_of(view, declared)
      if declared.aggregations is none else featurestore._aggregated_features(view, declared.aggregations)
    ),
    'overlaps': declared.valid_to is not none and not featurestore._has_disjoint_validity(view, node, declared),
  }) -%}
  {{ return(view) }}
{%- endmacro %}


{#-
  Where the rows of a view are read from. A microbatch model or `--sample` cuts what it refers to down to a period of its own, which is
  right for the spine and would take the history away here; only `--empty` is kept.
-#}
{% macro _history_relation(node) -%}
  {%- if node.get('version') is not none -%}
    {%- set relation = ref(node.package_name, node.name, version=node.version) -%}
  {%- else -%}
    {%- set relation = ref(node.package_name, node.name) -%}
  {%- endif -%}
  {{ return(relation.replace(event_time_filter=none) if relation.event_time_filter else relation) }}
{%- endmacro %}


{#- A column that a view declares; where the model is not built yet, one that nobody declared is believed to be there. -#}
{% macro _view_column(view, name) -%}
  {%- if not name -%}
    {{ return(none) }}
  {%- endif -%}
  {%- set column = featurestore._column_named(name, view.columns) -%}
  {%- if not column and view.columns_known -%}
    {{ featurestore._refuse(
      "'" ~ view.name ~ "' has no column '" ~ name ~ "'." ~ featurestore._did_you_mean(name, view.columns | map(attribute='name') | list)
    ) }}
  {%- endif -%}
  {%- set column = column or featurestore._believed_column(name) -%}
  {{ return({'name': column.name, 'data_type': column.data_type, 'quoted': featurestore._quoted(column.name)}) }}
{%- endmacro %}


{% macro _believed_column(name) -%}
  {{ return({'name': name, 'data_type': '', 'quoted': featurestore._quoted(name)}) }}
{%- endmacro %}


{#-
  Fails where nobody knows the type of a timestamp that is about to be compared: whether it is zoned decides which instant it is. Only a
  query that is shown, and not run, may be of models that are not built yet.
-#}
{% macro _require_type(column, of) -%}
  {%- if not column.data_type and flags.WHICH not in ('compile', 'generate') -%}
    {{ featurestore._refuse(
      "The type of '" ~ column.name ~ "' of " ~ of ~ " is not known, and so not whether it is in UTC. Declare its data_type under `columns`,"
      ~ " or materialize the model as a table or a view."
    ) }}
  {%- endif -%}
{%- endmacro %}


{#- All the view's features, in the order in which they break ties: as declared, or every column that is no key and no timestamp. -#}
{% macro _features_of(view, declared) -%}
  {%- set features = [] -%}
  {%- if declared.features -%}
    {%- for name in declared.features -%}
      {%- do features.append(featurestore._view_column(view, name)) -%}
    {%- endfor -%}
  {%- else -%}
    {%- set others = (view.join_keys + [view.timestamp, view.created_timestamp]) | select | map(attribute='name') | map('lower') | list -%}
    {%- set others = others + declared.snapshot_columns | map('lower') | list -%}
    {%- for column in view.columns if column.name | lower not in others -%}
      {%- do features.append(featurestore._view_column(view, column.name)) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(features) }}
{%- endmacro %}


{#- Whether dbt ends a snapshot's row where the next of its entity key begins: it does so per `unique_key`. -#}
{% macro _has_disjoint_validity(view, node, declared) -%}
  {%- set keys = view.join_keys | map(attribute='name') | map('lower') | list -%}
  {%- set tracked = node.config.get('unique_key') or [] -%}
  {%- set tracked = [tracked] if tracked is string else tracked -%}
  {{ return(
    tracked | length > 0
    and tracked | map('lower') | reject('in', keys) | list | length == 0
    and view.timestamp.name | lower == declared.snapshot_columns[0] | lower
  ) }}
{%- endmacro %}
