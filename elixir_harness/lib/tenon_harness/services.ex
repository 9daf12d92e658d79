defmodule TenonHarness.Services do
  @moduledoc """
  What the tests of services need, by X3m.System's public API alone.

  The generations differ in how a failed call reaches the caller: one crashes, the other responds. A
  test that is about something else looks at `outcome/3`, which is the same for both.
  """

  alias TenonHarness.{BeamNode, Wait}
  alias X3m.System.{Dispatcher, Message, ServiceRegistry}

  @doc "The generations that can be had: both of the stand-in, or the one of the package from Hex."
  def generations do
    if System.get_env("X3M") == "hex", do: [:hex], else: [:rpc_0_9_0, :erpc]
  end

  @doc "Whether the package from Hex is one whose only dispatcher is that of 0.9.0; the stand-in has both."
  def dispatches_as_0_9_0? do
    System.get_env("X3M") == "hex" and
      Version.compare(to_string(Application.spec(:x3m_system, :vsn)), "0.9.2") == :lt
  end

  @doc "Waits until this BEAM node finds the service at these nodes, or at none."
  def await_providers(beam_node, service, nodes) do
    what = "#{service} at #{inspect(nodes)} on #{beam_node.name}"
    Wait.until(what, fn -> providers(beam_node, service) == Enum.sort(nodes) end)
  end

  @doc "The remote nodes at which a BEAM node finds the service."
  def providers(beam_node, service) do
    case BeamNode.call(beam_node, ServiceRegistry, :find_nodes_with_service, [service]) do
      {:remote, nodes} -> nodes |> Map.keys() |> Enum.sort()
      {:local, _} -> [:local]
      :not_found -> []
    end
  end

  @doc "Dispatches from a BEAM node; options as of `message/2`, and `:timeout`."
  def dispatch(beam_node, service, raw_request, opts \\ []) do
    BeamNode.call(beam_node, __MODULE__, :dispatch_here, [service, raw_request, opts])
  end

  @doc "The response to a dispatch, or how it failed: `{:failed, reason}`, `{:threw, value}`."
  def outcome(beam_node, service, raw_request, opts \\ []) do
    BeamNode.call(beam_node, __MODULE__, :outcome_here, [service, raw_request, opts])
  end

  @doc """
  Calls the router's function on a node, as a dispatcher that has chosen it does, from a BEAM node.

  Gives the reply, `:no_reply`, or what the call returned instead of `:ok`. Options as of `message/2`,
  `:router`, and `:fields`, a map of what the message has in place of its own.
  """
  def direct(beam_node, node, service, raw_request, opts \\ []) do
    BeamNode.call(beam_node, __MODULE__, :direct_here, [node, service, raw_request, opts])
  end

  @doc "Runs `Dispatcher.authorized?/1` on a BEAM node."
  def authorized?(beam_node, service, opts \\ []) do
    BeamNode.call(beam_node, __MODULE__, :authorized_here, [service, opts])
  end

  @doc false
  def dispatch_here(service, raw_request, opts) do
    timeout = opts[:timeout] || Wait.deadline_ms()
    Dispatcher.dispatch(message(service, raw_request, opts), timeout: timeout)
  end

  @doc "Dispatches with that group leader, as from a shell."
  def dispatch_in_session(session, service, raw_request, opts) do
    fn ->
      Process.group_leader(self(), session)
      dispatch_here(service, raw_request, opts)
    end
    |> Task.async()
    |> Wait.await()
  end

  @doc "Dispatches the request 1 from `callers` processes of this node, each `count` times; echoes are expected."
  def dispatch_often(service, callers, count) do
    1..callers
    |> Enum.map(fn _ -> Task.async(fn -> for _ <- 1..count, do: dispatch_one(service) end) end)
    |> Enum.each(&Task.await(&1, :infinity))
  end

  defp dispatch_one(service) do
    %Message{response: {:ok, 1}} = dispatch_here(service, 1, [])
  end

  @doc false
  def outcome_here(service, raw_request, opts) do
    {pid, ref} =
      spawn_monitor(fn -> exit({:outcome, dispatch_here(service, raw_request, opts)}) end)

    receive do
      {:DOWN, ^ref, :process, ^pid, {:outcome, %Message{response: response}}} -> normal(response)
      {:DOWN, ^ref, :process, ^pid, {{:badmatch, value}, _stack}} -> normal_crash(value)
    end
  end

  @doc false
  def direct_here(node, service, raw_request, opts) do
    {router, opts} = Keyword.pop(opts, :router, Demo.Router)
    {fields, opts} = Keyword.pop(opts, :fields, %{})
    message = service |> message(raw_request, opts) |> Map.merge(fields)

    case :rpc.call(node, router, service, [message]) do
      :ok -> await_reply(message.id)
      other -> other
    end
  end

  defp await_reply(id) do
    receive do
      %Message{id: ^id} = reply -> reply
    after
      Wait.deadline_ms() -> :no_reply
    end
  end

  @doc false
  def authorized_here(service, opts), do: Dispatcher.authorized?(message(service, nil, opts))

  @doc "A message; options `:assigns`, `:dry_run`, and those of `Message.new/2`."
  def message(service, raw_request, opts) do
    {assigns, opts} = Keyword.pop(opts, :assigns, %{})

    message =
      Message.new(service, Keyword.put(Keyword.delete(opts, :timeout), :raw_request, raw_request))

    Enum.reduce(assigns, message, fn {key, value}, message ->
      Message.assign(message, key, value)
    end)
  end

  defp normal({:error, {:badrpc, {:throw, value}}}), do: {:threw, value}
  defp normal({:error, {:badrpc, reason}}), do: {:failed, reason}

  defp normal({:error, {:no_nodes_available, [{_node, reason}]}}),
    do: {:error, {:try_another_node, reason}}

  defp normal(response), do: response

  defp normal_crash({:badrpc, reason}), do: {:failed, reason}
  defp normal_crash(value), do: {:threw, value}
end
