defmodule Demo.Router do
  @moduledoc """
  The services of demo.so as a BEAM router, for TENON_PEER=beam and for comparison.
  """
  use X3m.System.Router
  alias X3m.System.Message

  service :c_echo, Demo.Handler
  service :c_sum, Demo.Handler
  service :c_slow, Demo.Handler
  service :c_fail, Demo.Handler
  service :c_try_another, Demo.Handler
  service :c_calls_back, Demo.Handler
  service :c_digest, Demo.Handler
  service :c_where, Demo.Handler
  service :c_renamed, Demo.Handler, :c_where
  service :c_keep, Demo.Handler
  service :c_answer, Demo.Handler
  servicep :c_private, Demo.Handler

  def authorize(%Message{assigns: %{deny: reason}}), do: reason
  def authorize(%Message{}), do: :ok

  def choose_node(%Message{assigns: %{forward_to: node}}), do: node
  def choose_node(%Message{}), do: :local
end

defmodule Demo.LateRouter do
  @moduledoc "What `:demo.offer_late/0` offers: another router, without an authorization of its own."
  use X3m.System.Router

  service :c_late, Demo.Handler, :c_where

  def authorize(_message), do: :ok
end

defmodule Demo.Handler do
  @moduledoc false
  alias X3m.System.{Dispatcher, Message, Response}

  def c_echo(%Message{raw_request: raw} = message) do
    message |> add_event(raw) |> reply(Response.ok(raw))
  end

  def c_sum(%Message{raw_request: %{"numbers" => numbers}} = message) do
    if Enum.all?(numbers, &is_integer/1) do
      reply(message, Response.ok(Enum.sum(numbers)))
    else
      reply(message, Response.validation_error(%{"numbers" => "not integers"}))
    end
  end

  def c_sum(message), do: reply(message, Response.missing_id("numbers"))

  def c_slow(%Message{raw_request: %{"ms" => ms}} = message) do
    :ok = :demo.sleep(ms)
    reply(message, Response.ok(:slow_done))
  end

  def c_fail(%Message{raw_request: %{"how" => how}} = message) do
    case to_string(how) do
      "error" -> reply(message, Response.error({:c_failed, "because"}))
      "ok" -> reply(message, Response.ok())
      "created" -> reply(message, Response.created("c-1"))
      "version" -> reply(message, {:ok, "payload", 3})
      "unauthorized" -> reply(message, Response.unauthorized("no"))
      "raise" -> :erlang.error(:c_raised)
      "throw" -> throw(:c_threw)
      "exit" -> exit(:c_exited)
      "noreply" -> :noreply
    end
  end

  def c_try_another(message), do: reply(message, Response.error({:try_another_node, :c_busy}))
  def c_private(message), do: reply(message, Response.ok(:from_c_private))

  def c_where(message), do: reply(message, Response.ok(node()))

  def c_keep(%Message{} = message) do
    Application.put_env(:tenon_harness, :kept, message)
    :noreply
  end

  def c_answer(%Message{raw_request: raw} = message) do
    kept = Application.get_env(:tenon_harness, :kept)
    Application.delete_env(:tenon_harness, :kept)
    if kept, do: send(kept.reply_to, %{Message.ok(kept, raw) | request: nil, events: []})
    reply(message, Response.ok(kept != nil))
  end

  def c_digest(%Message{raw_request: %{"data" => data}} = message) do
    reply(message, Response.ok(Base.encode16(:crypto.hash(:sha256, data), case: :lower)))
  end

  def c_calls_back(%Message{raw_request: raw} = message) do
    inner =
      raw["service"]
      |> Message.new_caused_by(message, raw_request: raw["raw_request"])
      |> put_if_given(:assigns, raw["assigns"])
      |> put_if_given(:dry_run, raw["dry_run"])
      |> Dispatcher.dispatch(timeout: raw["timeout"] || 5_000)

    reply(
      message,
      Response.ok(%{
        "response" => inner.response,
        "id" => inner.id,
        "correlation_id" => inner.correlation_id,
        "causation_id" => inner.causation_id,
        "events" => inner.events,
        "request" => inner.request,
        "halted" => inner.halted?
      })
    )
  end

  defp add_event(message, %{"event" => event}), do: Message.add_event(message, event)
  defp add_event(message, _raw), do: message

  defp put_if_given(message, _key, nil), do: message
  defp put_if_given(message, key, value), do: Map.put(message, key, value)

  defp reply(message, response), do: {:reply, Message.return(message, response)}
end
