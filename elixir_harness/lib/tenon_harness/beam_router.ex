defmodule TenonHarness.BeamRouter do
  @moduledoc """
  Services that the BEAM nodes of the tests and of the demo offer to Tenon.
  """
  use X3m.System.Router
  alias X3m.System.Message

  service :e_echo, TenonHarness.BeamHandler
  service :e_slow, TenonHarness.BeamHandler
  service :e_fail, TenonHarness.BeamHandler
  service :e_seen, TenonHarness.BeamHandler
  service :e_where, TenonHarness.BeamHandler
  service :e_later, TenonHarness.BeamHandler
  service :e_keep, TenonHarness.BeamHandler
  service :e_answer, TenonHarness.BeamHandler
  service :e_busy, TenonHarness.BeamHandler
  service :e_halt, TenonHarness.BeamHandler
  servicep :e_private, TenonHarness.BeamHandler

  def authorize(%Message{assigns: %{deny: reason}}), do: reason
  def authorize(%Message{}), do: :ok
end

defmodule TenonHarness.SecondRouter do
  @moduledoc "A second router of the same node."
  use X3m.System.Router
  alias X3m.System.Message

  service :e_second, TenonHarness.BeamHandler, :e_where

  def authorize(%Message{}), do: :ok
end

defmodule TenonHarness.LoudRouter do
  @moduledoc "What its service logs goes to the caller's node as well."
  use X3m.System.Router, ensure_local_logging?: false
  alias X3m.System.Message

  service :e_loud, TenonHarness.BeamHandler, :e_log

  def authorize(%Message{}), do: :ok
end

defmodule TenonHarness.BusyRouter do
  @moduledoc "Offers a service of Tenon as well, so that it has two providers."
  use X3m.System.Router
  alias X3m.System.Message

  service :c_try_another, TenonHarness.BeamHandler, :e_where

  def authorize(%Message{}), do: :ok
end

defmodule TenonHarness.ForwardRouter do
  @moduledoc "Forwards its service to the node that the message's assigns name."
  use X3m.System.Router
  alias X3m.System.Message

  service :f_echo, TenonHarness.ForwardHandler, :c_echo
  service :f_where, TenonHarness.ForwardHandler, :c_where

  def authorize(%Message{}), do: :ok
  def choose_node(%Message{assigns: %{forward_to: node}}), do: node
  def choose_node(%Message{}), do: :local
end

defmodule TenonHarness.ForwardHandler do
  @moduledoc false
  defdelegate c_echo(message), to: Demo.Handler
  defdelegate c_where(message), to: Demo.Handler
end

defmodule TenonHarness.BeamHandler do
  @moduledoc false
  require Logger
  alias X3m.System.{Message, Response}

  defdelegate e_echo(message), to: Demo.Handler, as: :c_echo
  defdelegate e_slow(message), to: Demo.Handler, as: :c_slow
  defdelegate e_fail(message), to: Demo.Handler, as: :c_fail
  defdelegate e_keep(message), to: Demo.Handler, as: :c_keep
  defdelegate e_answer(message), to: Demo.Handler, as: :c_answer

  def e_private(message), do: reply(message, :from_e_private)
  def e_where(message), do: reply(message, node())

  @doc "What the provider has got of the message."
  def e_seen(%Message{} = message) do
    reply(message, %{
      id: message.id,
      correlation_id: message.correlation_id,
      causation_id: message.causation_id,
      service_name: message.service_name,
      raw_request: message.raw_request,
      dry_run: message.dry_run,
      assigns: message.assigns,
      origin_node: message.origin_node,
      reply_to_node: node(message.reply_to),
      halted?: message.halted?,
      keys: message |> Map.keys() |> Enum.sort(),
      invoked_at: message.invoked_at
    })
  end

  @doc "Logs the request."
  def e_log(%Message{raw_request: text} = message) do
    Logger.error(text)
    reply(message, :logged)
  end

  @doc "Returns first and answers later, from another process."
  def e_later(%Message{} = message) do
    spawn(fn ->
      :ok = :demo.sleep(message.raw_request["ms"])
      {:reply, reply} = reply(message, :later)
      send(reply.reply_to, reply)
    end)

    :noreply
  end

  @doc "Asks for another node at those that are named, and answers as `e_seen` at all others."
  def e_busy(%Message{raw_request: %{"busy" => busy}} = message) do
    if node() in busy do
      refused = Message.assign(message, :refused_by, node())
      {:reply, Message.return(refused, Response.error({:try_another_node, {:busy, node()}}))}
    else
      reply(message, %{
        node: node(),
        id: message.id,
        halted?: message.halted?,
        response: message.response,
        request: message.request,
        events: message.events,
        assigns: message.assigns
      })
    end
  end

  @doc "Ends its whole node in the call, or after the call has returned."
  def e_halt(%Message{raw_request: %{"after_ms" => ms}}) do
    spawn(fn ->
      :ok = :demo.sleep(ms)
      :erlang.halt(0, flush: false)
    end)

    :noreply
  end

  def e_halt(%Message{}), do: :erlang.halt(0, flush: false)

  defp reply(message, payload), do: {:reply, Message.return(message, Response.ok(payload))}
end
