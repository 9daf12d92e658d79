defmodule TenonHarness.BeamStandIn do
  @moduledoc """
  What a BEAM node runs to take the place of `tenon run --load demo.so`: the same servers, functions
  and services, and the event lines that can be had.
  """

  def start(connect, load?, pg_scope) do
    spawn(fn ->
      :ok = :net_kernel.monitor_nodes(true, [:nodedown_reason, node_type: :all])
      log_nodes()
    end)

    if load? do
      {:ok, echo} = GenServer.start(TenonHarness.EchoServer, [], name: :echo)
      {:ok, _pid} = :pg.start(pg_scope)
      :ok = :pg.join(pg_scope, :tenon_demo, echo)
      :global.register_name(:tenon_echo, echo, &:global.random_notify_name/3)
      :ok = start_tasks()
      :ok = Demo.Router.register_services()
    end

    Enum.each(connect, &Node.connect/1)
    [alive, _host] = node() |> to_charlist() |> :string.split(~c"@")
    {:port, port, _version} = :erl_epmd.port_please(alive, {127, 0, 0, 1})
    log("event=ready node=#{node()} port=#{port}")
  end

  # Linked with its parent, which therefore has to last.
  defp start_tasks do
    starter = self()

    spawn(fn ->
      {:ok, _pid} = Task.Supervisor.start_link(name: Demo.Tasks)
      send(starter, :tasks_started)
      :ok = :demo.sleep(:infinity)
    end)

    receive do
      :tasks_started -> :ok
    end
  end

  defp log_nodes do
    receive do
      {:nodeup, node, _info} -> log("event=peer_up node=#{node}")
      {:nodedown, node, info} -> log("event=peer_down node=#{node} reason=#{quoted(info)}")
    end

    log_nodes()
  end

  defp quoted(info), do: inspect(inspect(info[:nodedown_reason]))

  defp log(line), do: IO.puts("time=#{System.system_time(:microsecond)} level=info #{line}")
end
