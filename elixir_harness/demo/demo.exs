# SPDX-License-Identifier: Apache-2.0
# Two Elixir nodes and one Tenon node in one cluster: who sees whom, who calls whom, and what happens
# when the C process is killed. Every answer is checked; the exit status says whether all were right.

defmodule Demo do
  import TenonHarness.BeamNode, only: [on: 2, on: 3]
  alias TenonHarness.{BeamNode, Cluster, Program, Services, TenonNode, Wait}

  @services [:c_calls_back, :c_digest, :c_echo, :c_fail, :c_slow, :c_sum, :c_try_another]

  def run do
    started = System.monotonic_time(:millisecond)
    Process.put(:wrong, 0)
    start_epmd()
    {one, two} = start_elixir_nodes()
    tenon = start_tenon(one, two)
    both_list_the_node_and_its_services(tenon, [one, two])
    both_dispatch_to_c([one, two])
    c_dispatches_to_elixir(tenon, [one, two])
    rpc_both_ways(tenon, one)
    a_monitored_process_dies(tenon, two)
    killed_and_restarted(tenon, one, two)

    # Ended here and not with this virtual machine: its helper process complains on the terminal of
    # each child that ends after it.
    for peer <- [one, two], do: Program.stop(peer.program)
    seconds = Float.round((System.monotonic_time(:millisecond) - started) / 1_000, 1)
    finish(Process.get(:wrong), seconds)
  end

  # An epmd that the demo has started ends with it; one that was there stays.
  defp start_epmd do
    port = String.to_integer(System.get_env("ERL_EPMD_PORT") || "4369")

    unless listening?(port) do
      {:ok, _epmd} = Program.start(Cluster.epmd(), args: ["-port", to_string(port)])
      Wait.until("epmd", fn -> listening?(port) end)
    end
  end

  defp listening?(port) do
    case :gen_tcp.connect({127, 0, 0, 1}, port, []) do
      {:ok, socket} -> :gen_tcp.close(socket) == :ok
      {:error, _reason} -> false
    end
  end

  defp start_elixir_nodes do
    step(
      "Two Elixir nodes start, each with a router; one speaks X3m.System 0.9, the other a later one"
    )

    [old | _] = Services.generations()
    new = List.last(Services.generations())
    one = BeamNode.start(name: Cluster.unique_node("elixir_one"), x3m: old)
    two = BeamNode.start(name: Cluster.unique_node("elixir_two"), x3m: new)

    for {peer, generation} <- [{one, old}, {two, new}] do
      :ok = BeamNode.call(peer, TenonHarness.BeamRouter, :register_services, [])
      say("#{peer.name} runs, dispatches by #{generation}")
    end

    {one, two}
  end

  defp start_tenon(one, two) do
    step("A C process joins them: tenon run --load #{Path.basename(TenonNode.demo_so())}")

    {microseconds, tenon} =
      :timer.tc(fn ->
        TenonNode.start(name: Cluster.unique_node("c"), connect: [one.name, two.name])
      end)

    say(
      "#{tenon.name} is ready after #{div(microseconds, 1_000)} ms, process #{Program.os_pid(tenon.program)}"
    )

    tenon
  end

  defp both_list_the_node_and_its_services(tenon, peers) do
    step("Both Elixir nodes list the C node and find its services")

    for peer <- peers do
      for service <- @services, do: Services.await_providers(peer, service, [tenon.name])
      listed? = on(peer, name: tenon.name, do: name in Node.list())
      check("#{peer.name}: Node.list() has #{tenon.name}", listed?, true)
      check("#{peer.name}: Node.ping", on(peer, name: tenon.name, do: Node.ping(name)), :pong)

      found =
        for service <- @services, Services.providers(peer, service) == [tenon.name], do: service

      check("#{peer.name}: services found at #{tenon.name}", found, @services)
    end
  end

  defp both_dispatch_to_c(peers) do
    file = TenonNode.executable()
    data = File.read!(file)
    expected = Base.encode16(:crypto.hash(:sha256, data), case: :lower)
    step("Both dispatch :c_digest to C with #{Path.basename(file)}, #{byte_size(data)} bytes")

    for peer <- peers do
      response =
        on peer, file: file do
          message = X3m.System.Message.new(:c_digest, raw_request: %{"data" => File.read!(file)})
          X3m.System.Dispatcher.dispatch(message, timeout: Wait.deadline_ms()).response
        end

      check("#{peer.name}: the digest is that of :crypto", response, {:ok, expected})
    end
  end

  defp c_dispatches_to_elixir(tenon, [one, two]) do
    step("C dispatches to an Elixir service")
    timeout = Wait.deadline_ms()
    raw = %{"service" => :e_seen, "raw_request" => %{"amount" => 10}, "timeout" => timeout}
    {:ok, inner} = Services.outcome(one, :c_calls_back, raw)
    {:ok, seen} = inner["response"]
    check("the Elixir service has got the request", seen.raw_request, %{"amount" => 10})
    check("it came from", seen.origin_node, tenon.name)

    check(
      "caused by the message that the C service has got",
      seen.correlation_id,
      inner["correlation_id"]
    )

    output = tenon(["dispatch", "e_echo", "%{\"from\" => :shell}", "--connect", two.name])
    check("tenon dispatch e_echo", output, {"{:ok, %{\"from\" => :shell}}", 0})
  end

  defp rpc_both_ways(tenon, one) do
    step("A remote procedure call each way")
    numbers = [1, 2, 123_456_789_012_345_678_901_234_567_890]
    sum = on(one, name: tenon.name, numbers: numbers, do: :rpc.call(name, :demo, :sum, [numbers]))
    check(":rpc.call of demo:sum/1, from Elixir to C", sum, Enum.sum(numbers))

    echoed = on(one, name: tenon.name, do: GenServer.call({:echo, name}, {:hello, "C"}))
    check("GenServer.call of the server :echo in C", echoed, {:hello, "C"})

    output = tenon(["call", one.name, "Elixir.String", "upcase", "[\"grüße\"]"])
    check("tenon call String.upcase/1, from C to Elixir", output, {"\"GRÜSSE\"", 0})
  end

  defp a_monitored_process_dies(tenon, two) do
    step("A monitored C process dies")

    reasons =
      on two, name: tenon.name, ms: Wait.deadline_ms() do
        {pid, ref} = :erlang.spawn_monitor(name, :demo, :exit, [:ran_out_of_ink])
        killed = Node.spawn(name, :demo, :sleep, [60_000])
        killed_ref = Process.monitor(killed)
        Process.exit(killed, :kill)

        for {pid, ref} <- [{pid, ref}, {killed, killed_ref}] do
          receive do
            {:DOWN, ^ref, :process, ^pid, reason} -> reason
          after
            ms -> :nothing_came
          end
        end
      end

    check("its monitor brings the reason it ended with, and :killed", reasons, [
      :ran_out_of_ink,
      :killed
    ])
  end

  defp killed_and_restarted(tenon, one, two) do
    step("The C process is killed with SIGKILL and started again")
    TenonNode.kill(tenon)

    for peer <- [one, two] do
      for service <- @services, do: Services.await_providers(peer, service, [])
      check("#{peer.name}: services found", Services.providers(peer, :c_digest), [])
      gone? = on(peer, name: tenon.name, do: name not in Node.list())
      check("#{peer.name}: Node.list() has it no more", gone?, true)
    end

    again = TenonNode.start(name: tenon.name, connect: [one.name, two.name])

    for peer <- [one, two] do
      Services.await_providers(peer, :c_sum, [again.name])
      response = Services.outcome(peer, :c_sum, %{"numbers" => [40, 2]})
      check("#{peer.name}: it is back, :c_sum gives", response, {:ok, 42})
    end

    Program.signal(again.program, :TERM)
    check("SIGTERM ends it in order, exit status", Program.await_exit(again.program), 0)
  end

  defp tenon(args) do
    args = args ++ ["--cookie", Cluster.cookie(), "--timeout", Wait.deadline_ms()]
    args = Enum.map(args, &to_string/1)
    {output, status} = System.cmd(TenonNode.executable(), args)
    {String.trim_trailing(output), status}
  end

  defp step(text) do
    number = Process.get(:step, 0) + 1
    Process.put(:step, number)
    IO.puts("\n#{number}. #{text}")
  end

  defp say(text), do: IO.puts("   #{text}")

  defp check(what, actual, expected) when actual == expected,
    do: say("ok     #{what}: #{inspect(actual, limit: 12)}")

  defp check(what, actual, expected) do
    Process.put(:wrong, Process.get(:wrong) + 1)
    say("WRONG  #{what}: expected #{inspect(expected)}, got #{inspect(actual)}")
  end

  defp finish(0, seconds), do: IO.puts("\nAll answers were right, in #{seconds} s.")

  defp finish(wrong, _seconds) do
    IO.puts("\n#{wrong} answers were wrong.")
    exit({:shutdown, 1})
  end
end

# A demo that is asked to stop has not shown that all is right.
:ok = :os.set_signal(:sigterm, :default)
Demo.run()
