# SPDX-License-Identifier: Apache-2.0
# Calls of a server between two nodes, each in C or a BEAM, over TLS and without. Callers in C are threads that wait
# (tenon_server_call), or calls that are followed by the next when they call back (tenon_server_call_async); those in a
# BEAM node are processes (GenServer.call/2). All are measured in turns, so that what the machine does besides falls on
# all; a ratio is the median of those of the rounds. CPU is of all rounds together, user and system; a BEAM node's
# includes that its schedulers look for work before they sleep.

defmodule TlsBench do
  import Bench.Figures, only: [median: 1]
  alias TenonHarness.{BeamNode, BeamStandIn, Calls, Cluster, Program, TenonNode}
  require BeamNode

  @version "tlsv1.3"
  @cipher "TLS_AES_256_GCM_SHA384"
  # {caller, how it calls, server}
  @pairs [
    c_threads_to_c: {:c_caller, :threads, :c_server},
    c_called_back_to_c: {:c_caller, :called_back, :c_server},
    c_threads_to_beam: {:c_caller, :threads, :beam_server},
    c_called_back_to_beam: {:c_caller, :called_back, :beam_server},
    beam_to_beam: {:beam_caller, :processes, :beam_server},
    beam_to_c: {:beam_caller, :processes, :c_server}
  ]
  @request 1
  @warm_up_calls 4_000
  # As /proc counts it.
  @ticks_per_s 100

  def run do
    Cluster.join!()
    IO.puts("#{System.schedulers_online()} cores, OTP #{System.otp_release()}")
    networks = for security <- [:plain, :tls], do: {security, start(security)}
    for callers <- [1, 64], do: measure(networks, callers)
    for {_, nodes} <- networks, {_, node} <- nodes, do: Program.stop(node.program)
  end

  # ---- nodes ------------------------------------------------------------------

  defp start(security) do
    {tenon, erl} = options(security)
    client = ["--load", TenonNode.client_so(), "--log-level", "debug" | tenon]

    nodes = [
      c_caller: TenonNode.start(load: false, args: client),
      c_server: TenonNode.start(args: tenon),
      beam_caller: BeamNode.start(erl: erl),
      beam_server: BeamNode.start(x3m: :erpc, erl: erl)
    ]

    :ok = BeamNode.call(nodes[:beam_server], BeamStandIn, :start, [[], true, :pg])
    if security == :tls, do: print_negotiated(nodes)
    nodes
  end

  defp options(:plain), do: {[], []}

  defp options(:tls) do
    {["--proto-dist", "inet_tls", "--ssl-dist-optfile", optfile()],
     ["-proto_dist", "inet_tls", "-ssl_dist_optfile", optfile()]}
  end

  # The same for all nodes: one version and one cipher.
  defp optfile do
    dir = System.fetch_env!("BENCH_CERTS")
    file = Path.join(dir, "bench.conf")

    both =
      ~s({certfile, "#{dir}/good.pem"}, {cacertfile, "#{dir}/ca.pem"}, {verify, verify_peer}, ) <>
        ~s({versions, ['#{@version}']}, {ciphers, ["#{@cipher}"]})

    File.write!(file, "[{server, [{fail_if_no_peer_cert, true}, #{both}]}, {client, [#{both}]}].")
    file
  end

  # What the calling node in C says of its connections, and what a client with the options of the BEAM
  # nodes gets from either server.
  defp print_negotiated(nodes) do
    for server <- [:c_server, :beam_server] do
      {1, _, _, _} = repeat(nodes, {:c_caller, :threads, server}, 1, 1)
      name = nodes[server].name
      said = TenonNode.await_event(nodes[:c_caller], "secured", peer: name)
      IO.puts("c_caller with #{server}: #{said["version"]} #{said["cipher"]}")

      {version, cipher} =
        BeamNode.on nodes[:beam_caller], name: name, file: optfile() do
          {:ok, _} = Application.ensure_all_started(:ssl)
          {:ok, [options]} = :file.consult(file)
          [alive, host] = name |> Atom.to_charlist() |> :string.split('@')
          {:port, port, _} = :erl_epmd.port_please(alive, host)
          {:ok, socket} = :ssl.connect(host, port, options[:client])
          {:ok, facts} = :ssl.connection_information(socket, [:protocol, :selected_cipher_suite])
          :ok = :ssl.close(socket)
          {facts[:protocol], :ssl.suite_to_str(facts[:selected_cipher_suite])}
        end

      IO.puts("beam_caller with #{server}: #{version} #{cipher}")
    end
  end

  # ---- measuring --------------------------------------------------------------

  # The first calls warm up, and say how many fill the time of a measurement.
  defp measure(networks, callers) do
    legs =
      for {security, nodes} <- networks, {name, pair} <- @pairs do
        warm = sample(nodes, pair, callers, div(@warm_up_calls, callers))
        {{security, name}, nodes, pair, max(1, round(warm.rate * seconds() / callers))}
      end

    rounds =
      for _ <- 1..round(number("BENCH_ROUNDS", "7")) do
        for {leg, nodes, pair, each} <- legs,
            into: %{},
            do: {leg, sample(nodes, pair, callers, each)}
      end

    report(rounds, if(callers == 1, do: "sequential", else: "#{callers} callers"))
  end

  defp sample(nodes, {caller, _how, server} = pair, callers, each) do
    ends = [nodes[caller], nodes[server]]
    before = Enum.map(ends, &ticks/1)
    {answered, all_ns, p50_ns, p99_ns} = repeat(nodes, pair, callers, each)
    spent = for {node, ticks} <- Enum.zip(ends, before), do: ticks(node) - ticks
    true = answered == callers * each
    %{rate: answered * 1.0e9 / all_ns, p50: p50_ns, p99: p99_ns, spent: spent, calls: answered}
  end

  defp repeat(nodes, {:beam_caller, _how, server}, callers, each) do
    args = [{:echo, nodes[server].name}, @request, callers, each]
    BeamNode.call(nodes[:beam_caller], Calls, :repeat, args, 120_000)
  end

  # The BEAM node that calls is idle then, and drives the one in C.
  defp repeat(nodes, {:c_caller, how, server}, callers, each) do
    args = [how, {:echo, nodes[server].name}, @request, callers, each]
    args = [nodes[:c_caller].name, :client, :repeat, args]
    BeamNode.call(nodes[:beam_caller], :rpc, :call, args, 120_000)
  end

  defp ticks(node) do
    stat = File.read!("/proc/#{Program.os_pid(node.program)}/stat")
    [_, after_name] = String.split(stat, ") ", parts: 2)
    fields = String.split(after_name)
    String.to_integer(Enum.at(fields, 11)) + String.to_integer(Enum.at(fields, 12))
  end

  defp seconds, do: number("BENCH_SECONDS", "0.8")

  defp number(variable, default) do
    {number, ""} = Float.parse(System.get_env(variable) || default)
    number
  end

  # ---- said ---------------------------------------------------------------------

  defp report(rounds, how) do
    columns = ["calls/s", "p50 us", "p99 us", "CPU caller us", "CPU server us"]
    IO.puts("\n" <> row("#{how}, medians of #{length(rounds)}", columns))

    for security <- [:plain, :tls], {name, _} <- @pairs do
      IO.puts(row("#{security} #{name}", figures(rounds, {security, name})))
    end

    columns = ["calls/s of plain", "of beam_to_beam", "its CPU over this"]
    IO.puts("\n" <> row("#{how}, times", columns))

    for security <- [:plain, :tls], {name, _} <- @pairs do
      leg = {security, name}
      beams = {security, :beam_to_beam}
      cpu = cpu(rounds, beams, 0..1) / cpu(rounds, leg, 0..1)
      ratios = [rates(rounds, leg, {:plain, name}), rates(rounds, leg, beams), text(cpu, 2)]
      IO.puts(row("#{security} #{name}", ratios))
    end
  end

  defp rates(rounds, leg, other) do
    text(median(for round <- rounds, do: round[leg].rate / round[other].rate), 2)
  end

  # Microseconds for a call, at one end or both. One tick stands for less than one.
  defp cpu(rounds, leg, ends) do
    ticks = for round <- rounds, at <- ends, do: Enum.at(round[leg].spent, at)
    calls = for round <- rounds, do: round[leg].calls
    max(Enum.sum(ticks), 1) * 1.0e6 / @ticks_per_s / Enum.sum(calls)
  end

  defp figures(rounds, leg) do
    samples = for round <- rounds, do: round[leg]

    [
      text(median(Enum.map(samples, & &1.rate)), 0),
      text(median(Enum.map(samples, & &1.p50)) / 1_000, 0),
      text(median(Enum.map(samples, & &1.p99)) / 1_000, 0),
      text(cpu(rounds, leg, [0]), 1),
      text(cpu(rounds, leg, [1]), 1)
    ]
  end

  defp row(name, columns) do
    String.pad_trailing(name, 40) <> Enum.map_join(columns, &String.pad_leading(&1, 19))
  end

  defp text(number, decimals), do: :erlang.float_to_binary(number / 1, decimals: decimals)
end

TlsBench.run()
