"""Checks that MiniStack is the version that the local cloud was written for.

The local cloud reads, replaces and calls names that MiniStack does not promise to keep. So the start refuses any
other version, and any MiniStack in which one of those names is missing. Check it before the other modules of this
folder are imported: all but environment.py import MiniStack.
"""

import importlib
import importlib.metadata
from collections.abc import Mapping

from localcloud.errors import IncompatibleMiniStackError

VERSION = "1.5.33"

# Module -> the names that the local cloud uses.
_NAMES = {
    # AUTH: the environment's setting of that name enforces IAM.
    "app": ("app", "_request_account_scope", "_build_persistence_save_dict", "AUTH", "PERSIST_STATE"),
    "core.iam_actions": (
        "_action_from_query",
        "_action_from_target",
        "_safe_json_field",
        "identity_denial_message",
        "request_tag_context",
    ),
    "core.iam_evaluator": (
        "AuthError",
        "EvalContext",
        "_POLICY_REQUIRED",
        "_action_matches",
        "_conditions_met",
        "_first_match",
        "_gather_role_policies",
        "_permissions_boundary",
        "_resource_policy",
        "_role_name_from_assumed_arn",
        "_service_principal_matches",
        "combine_resource_policy",
        "enforce",
        "evaluate",
        "evaluate_resource_policy",
        "fnmatch_iam_cs",
        "is_root_access_key",
        "pin_request_origin",
        "pin_signed_body",
        "pin_signed_request",
        "resolve_principal",
    ),
    "core.lambda_runtime": (
        "_PYTHON_WORKER_SCRIPT",
        "Worker",
        "execution_credentials",
        "invalidate_worker",
        "kill_workers",
        "release_worker",
        "reset",
        "subprocess",
    ),
    "core.persistence": ("_json_default", "_state_format_version"),
    "core.responses": (
        "AccountRegionScopedDict",
        "error_response_json",
        "get_account_id",
        "get_region",
        "json_response",
        "request_scope",
        "set_request_account_id",
        "set_request_region",
    ),
    "core.router": ("extract_access_key_id", "extract_region"),
    "services.cloudformation": ("_stacks",),
    "services.cloudformation.provisioners": (
        "_RESOURCE_HANDLERS",
        "_S3_BUCKET_CONFIGURATIONS",
        "_STACK_TAG_PROPERTY",
        "_sfn_definition",
        "_ssm_attrs",
        "_ssm_put_data",
    ),
    "services.cloudformation.stacks": ("_provision_resource",),
    "services.cloudfront": (
        "_cache_policies",
        "_oacs",
        "_origin_request_policies",
        "_response_headers_policies",
    ),
    "services.cloudwatch": (
        "_alarms",
        "_calc_stats",
        "_cbor_metric_data_result",
        "_cbor_ok",
        "_dashboards",
        "_delete_alarms",
        "_dims_from_list",
        "_dims_key",
        "_evaluate_alarm",
        "_evaluate_all_alarms",
        "_evaluate_parent_alarms",
        "_get_metric_data",
        "_is_sns_action_arn",
        "_json_ok",
        "_metrics",
        "_parse_ts",
        "_put_metric_alarm",
        "_record_history",
        "_stat_value",
        "_ts_iso",
        "record_metric",
    ),
    "services.apigateway": (
        "_fetch_jwks",
        "decode_http_api_path",
        "handle_execute",
        "run_reentrant",
    ),
    "services.cognito": ("_get_pool_unscoped", "well_known_jwks"),
    "services.cloudwatch_logs": (
        "_decode_token",
        "_encode_token",
        "_filter_log_events",
        "_log_events_lock",
        "_log_groups",
        "_resolve_log_group_name",
    ),
    "services.dynamodb": (
        "_INDEX_MEMBERS",
        "_condition_syntax_error",
        "_evaluate_condition",
        "_get_attr_type",
        "_index_def",
        "_index_key_lists",
        "_index_members",
        "_key_condition_clauses",
        "_number_size_bytes",
        "_query",
        "_resolve_index_keys",
        "_restore_state",
        "_stream_records",
        "_stream_trimmed",
        "_tables",
        "_tokenize",
        "esm_wake",
        "get_state",
        "stream_end_position",
    ),
    "services.ecr": (
        "_batch_check_layer_availability",
        "_batch_delete_image",
        "_complete_layer_upload",
        "_delete_repository",
        "_describe_images",
        "_find_image",
        "_image_digest",
        "_layer_blobs",
        "_manifest_blobs",
        "_put_image",
        "_registry_id",
        "_repositories",
        "_upload_layer_part",
        "_uploads",
    ),
    "services.iam": (
        "_create_service_linked_role",
        "_roles",
    ),
    "services.kms": ("_alias_arn", "_aliases", "_create_key", "_key_metadata", "_keys", "_resolve_key"),
    "services.lambda_svc": (
        "_ESM_IDLE_WAKE_GAP_SECONDS",
        "_dynamodb_stream_positions",
        "_emit_lambda_logs",
        "_emit_lambda_metrics",
        "_esms",
        "_execute_function",
        "_execute_function_warm",
        "_functions",
        "_iter_all_esms",
        "_poll_dynamodb_streams",
        "_poll_sqs",
        "_send_ddb_stream_failure_record",
        "_sqs_esm_concurrency",
        "execution_credentials",
        "executions_in_flight",
        "load_persisted_state",
    ),
    "services.s3": (
        "_MALFORMED_XML",
        "S3_NS",
        "_bucket_default_sse_headers",
        "_bucket_has_versions",
        "_bucket_tags",
        "_buckets",
        "_delete_bucket_encryption",
        "_delete_bucket_lifecycle",
        "_put_bucket_encryption",
        "_put_bucket_lifecycle",
        "_resolve_sse_write_headers",
        "DATA_DIR",
        "_atomic_write",
        "_deliver_event_to_sqs",
        "_dispatch",
        "_error",
        "_fire_s3_event_async",
        "_key_history_meta",
        "_object_disk_path",
        "_object_meta_from_record",
        "_object_versions",
        "_other_key_disk_path",
        "_persist_displaced_version",
        "_persist_object",
        "_record_delete_marker",
        "_record_object_version",
        "_remove_key_files",
        "_version_file_exists",
    ),
    "services.sns": (
        "_error",
        "_fanout",
        "_publish",
        "_topics",
        "topic_policy_allows",
    ),
    "services.scheduler": ("_schedules",),
    "services.sqs": (
        "_Err",
        "_HANDLERS",
        "_queue_by_arn",
        "_queue_name_to_url",
        "_queues",
        "_queues_lock",
        "_restore_state",
    ),
    "services.stepfunctions": (
        "ThreadPoolExecutor",
        "_ExecutionError",
        "_SERVICE_DISPATCH",
        "_SFN_WAIT_SCALE",
        "_apply_state_assign",
        "_call_lambda",
        "_create_state_machine",
        "_emit_execution_status_event",
        "_error_matches",
        "_execute_choice",
        "_execute_map",
        "_execute_parallel",
        "_execute_pass",
        "_execute_task",
        "_execute_wait",
        "_executions",
        "_invoke_aws_sdk_integration",
        "_invoke_resource",
        "_invoke_resource_with_timeout",
        "_invoke_with_callback",
        "_run_execution",
        "_run_sub_machine",
        "_scaled_sleep",
        "_sdk_json_params",
        "_sdk_json_result",
        "_state_machines",
        "_task_tokens",
        "_update_state_machine",
        "get_state",
    ),
    "services.sts": ("_sessions", "register_session"),
}


def check(version: str | None = None, names: Mapping[str, tuple[str, ...]] = _NAMES) -> None:
    """Check the installed MiniStack.

    Args:
        version: The version to check instead of the installed one.
        names: Module names without "ministack.", and the names that each must have.

    Raises:
        IncompatibleMiniStackError: If the version is another, or a name is missing.
    """
    installed = version or importlib.metadata.version("ministack")
    if installed != VERSION:
        raise IncompatibleMiniStackError(
            f"MiniStack {installed} is installed; the local cloud needs {VERSION}",
            "Install Loupe again, in an environment of its own.",
        )
    for module_name, required in names.items():
        module = importlib.import_module(f"ministack.{module_name}")
        missing = [name for name in required if not hasattr(module, name)]
        if missing:
            raise IncompatibleMiniStackError(f"ministack.{module_name} has no {', '.join(missing)}.")
