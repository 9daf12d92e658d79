defmodule TenonHarness.EpmdTest do
  use TenonHarness.NodeCase, async: true

  @moduletag :epmd

  # An epmd of the test's own, so that the one of the other tests is left alone.
  setup do
    port = to_string(free_port())
    {:ok, port: port, env: [{"ERL_EPMD_PORT", port}]}
  end

  @tag :current_peer
  test "a node that epmd has forgotten registers again", %{env: env, port: port} do
    epmd = start_epmd(port)
    tenon = start_tenon(env: env)
    early = start_beam(env: env)
    assert on(early, name: tenon.name, do: Node.ping(name)) == :pong

    Program.signal(epmd, :KILL)
    Program.await_exit(epmd)
    assert on(early, name: tenon.name, do: Wait.call({:echo, name}, 1)) == 1

    start_epmd(port)
    Wait.until("the registration", fn -> registered?(early, tenon.name) end)
    late = start_beam(env: env)
    assert on(late, name: tenon.name, do: Node.ping(name)) == :pong
    assert on(late, name: tenon.name, do: Wait.call({:echo, name}, 2)) == 2
  end

  @tag :tenon_only
  test "epmd is started when none runs", %{env: env} do
    tenon = start_tenon(env: env)

    on_exit(fn ->
      Program.stop(tenon.program)
      Wait.until("epmd to end", fn -> not epmd_runs_after_kill?(env) end)
    end)

    peer = start_beam(env: env)
    assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
    Program.stop(peer.program)
  end

  test "a node that stops is forgotten by epmd", %{env: env, port: port} do
    start_epmd(port)
    peer = start_beam(env: env)
    tenon = start_tenon(env: env)
    assert registered?(peer, tenon.name)
    Program.signal(tenon.program, :TERM)
    Program.await_exit(tenon.program)
    Wait.until("epmd to forget", fn -> not registered?(peer, tenon.name) end)
  end

  # It ends when it is asked to and knows no node any more.
  defp epmd_runs_after_kill?(env) do
    System.cmd(Cluster.epmd(), ["-kill"], env: env, stderr_to_stdout: true)
    {_names, status} = System.cmd(Cluster.epmd(), ["-names"], env: env, stderr_to_stdout: true)
    status == 0
  end

  defp start_epmd(port) do
    {:ok, epmd} = Program.start(Cluster.epmd(), args: ["-port", port, "-relaxed_command_check"])
    on_exit(fn -> Program.stop(epmd) end)

    Wait.until("epmd", fn ->
      match?({:ok, _}, :gen_tcp.connect({127, 0, 0, 1}, String.to_integer(port), []))
    end)

    epmd
  end

  defp registered?(beam_node, name) do
    on beam_node, name: name do
      [alive, _host] = name |> to_charlist() |> :string.split(~c"@")
      match?({:port, _port, _version}, :erl_epmd.port_please(alive, {127, 0, 0, 1}))
    end
  end
end
