defmodule X3m.System.Response do
  @moduledoc "The values that `X3m.System.Message.response` takes."

  @type t ::
          :ok
          | {:ok, any}
          | {:ok, any, integer}
          | {:created, any}
          | {:created, any, integer}
          | {:service_unavailable, atom}
          | {:service_timeout, atom, String.t(), timeout}
          | {:unauthorized, String.t()}
          | {:validation_error, map}
          | {:missing_id, atom | String.t()}
          | {:error, any}

  @spec ok() :: :ok
  def ok, do: :ok

  @spec ok(any) :: {:ok, any}
  def ok(payload), do: {:ok, payload}

  @spec created(any) :: {:created, any}
  def created(id), do: {:created, id}

  @spec service_unavailable(atom) :: {:service_unavailable, atom}
  def service_unavailable(service), do: {:service_unavailable, service}

  @spec service_timeout(atom, String.t(), timeout) ::
          {:service_timeout, atom, String.t(), timeout}
  def service_timeout(service, id, timeout), do: {:service_timeout, service, id, timeout}

  @spec unauthorized(String.t()) :: {:unauthorized, String.t()}
  def unauthorized(text), do: {:unauthorized, text}

  @spec validation_error(map) :: {:validation_error, map}
  def validation_error(request), do: {:validation_error, request}

  @spec missing_id(atom | String.t()) :: {:missing_id, atom | String.t()}
  def missing_id(field), do: {:missing_id, field}

  @spec error(any) :: {:error, any}
  def error(reason), do: {:error, reason}
end
