defmodule TenonHarness.RawPeer do
  @moduledoc """
  A distribution peer made by hand, which can say what no BEAM node says.

  It shakes hands as version 6 asks; what it sends after that is up to the test.
  """

  alias TenonHarness.{Carrier, Cluster, TenonNode, Wait}

  defstruct [:socket, :name, :creation, :listener, :epmd]

  # What every release from OTP 23 on asks for, and nothing that changes the framing.
  @flags 0xD075F5FBD
  @timeout_ms Wait.deadline_ms()

  def flags, do: @flags

  @doc "Connects to a node of this run and shakes hands; options `:name`, `:flags`, `:cookie`."
  def connect(node, opts \\ []) do
    {:ok, raw} = open(node, opts)
    :ok = send_name(raw, Keyword.get(opts, :flags, @flags))

    case status(raw) do
      "ok" -> finish(raw, opts)
      "ok_simultaneous" -> finish(raw, opts)
      "alive" -> send_packet(raw, "strue") && finish(raw, opts)
      other -> {:refused, other}
    end
  end

  @doc "A bare connection, without any handshake but that of TLS; option `:name`."
  def open(node, opts \\ []) do
    name = opts[:name] || Cluster.unique_node("raw")
    socket_opts = [:binary, active: false, nodelay: true] ++ carrier_opts(:client)

    with {:ok, socket} <- carrier().connect(address(node), port(node), socket_opts),
         do: {:ok, %__MODULE__{socket: socket, name: name, creation: creation()}}
  end

  @doc "Listens as the node `name`, where the others of this run look for it."
  def listen(name) do
    address = Carrier.address(name)

    {:ok, listener} =
      carrier().listen(
        Carrier.port() || 0,
        [:binary, active: false, reuseaddr: true, ip: address] ++ carrier_opts(:server)
      )

    {:ok, {_address, port}} = sockname(listener)
    epmd = if Carrier.epmd?(), do: register_in_epmd(name, port)
    %__MODULE__{listener: listener, epmd: epmd, name: name, creation: creation()}
  end

  @doc "Accepts a connection, up to and with the first packet: the name of the node that sends it."
  def accept_name(raw) do
    {:ok, socket} = accept(raw.listener)

    {:ok, <<"N", _flags::64, _creation::32, len::16, name::binary-size(len), _::binary>>} =
      carrier().recv(socket, 0, @timeout_ms)

    {%{raw | socket: socket}, String.to_atom(name)}
  end

  @doc "Whether somebody has connected that was not accepted yet."
  def called?(raw) do
    case carrier() do
      :gen_tcp -> match?({:ok, _}, :gen_tcp.accept(raw.listener, 0))
      :ssl -> match?({:ok, _}, :ssl.transport_accept(raw.listener, 0))
    end
  end

  @doc "Sends the packet that begins the handshake."
  def send_name(raw, flags \\ @flags) do
    name = to_string(raw.name)
    send_packet(raw, <<"N", flags::64, raw.creation::32, byte_size(name)::16, name::binary>>)
  end

  @doc "The text of the status packet, or the reason why none came."
  def status(raw) do
    case carrier().recv(raw.socket, 0, @timeout_ms) do
      {:ok, <<"s", status::binary>>} -> status
      {:error, reason} -> reason
    end
  end

  @doc "From the challenge on."
  def finish(raw, opts \\ []) do
    cookie = opts[:cookie] || Cluster.cookie()

    with {:ok, <<"N", _flags::64, challenge::32, _creation::32, _name::binary>>} <-
           carrier().recv(raw.socket, 0, @timeout_ms),
         :ok <- send_packet(raw, <<"r", 0::32, digest(cookie, challenge)::binary>>),
         {:ok, <<"a", digest::binary-16, _::binary>>} <-
           carrier().recv(raw.socket, 0, @timeout_ms) do
      ^digest = digest(cookie, 0)
      :ok = set_packet(raw, 4)
      {:ok, raw}
    else
      {:error, reason} -> {:refused, reason}
    end
  end

  @doc "Sends bytes as one packet of the present framing (4-byte lengths, in the handshake 2-byte ones unless over TLS)."
  def send_packet(raw, bytes), do: carrier().send(raw.socket, bytes)

  @doc "Sends bytes without any framing."
  def send_bytes(raw, bytes) do
    :ok = set_packet(raw, :raw)
    carrier().send(raw.socket, bytes)
  end

  @doc "Sends a control message, with a message term or without."
  def control(raw, control), do: send_packet(raw, [112, :erlang.term_to_binary(control)])

  def control(raw, control, message),
    do: send_packet(raw, [112, :erlang.term_to_binary(control), :erlang.term_to_binary(message)])

  @doc "Sends `message` to a registered name."
  def send_to(raw, name, message), do: control(raw, {6, pid(raw, 1), :"", name}, message)

  @doc "A pid of this peer."
  def pid(raw, id) do
    name = to_string(raw.name)

    :erlang.binary_to_term(
      <<131, 88, 119, byte_size(name), name::binary, id::32, 0::32, raw.creation::32>>
    )
  end

  @doc "A reference of this peer."
  def ref(raw, id) do
    name = to_string(raw.name)

    :erlang.binary_to_term(
      <<131, 90, 3::16, 119, byte_size(name), name::binary, raw.creation::32, id::32, 0::32,
        0::32>>
    )
  end

  @doc """
  The first true result of `fun` for a `{control, message}` that comes; an error when none comes.

  Ticks are answered.
  """
  def receive_control(raw, fun) do
    case try_receive_control(raw, fun) do
      {:error, reason} -> raise "what the test waits for did not come: #{reason}"
      result -> result
    end
  end

  @doc "The same, with `{:error, reason}` when the connection ends or nothing comes."
  def try_receive_control(raw, fun) do
    case carrier().recv(raw.socket, 0, @timeout_ms) do
      {:ok, ""} ->
        send_packet(raw, "")
        try_receive_control(raw, fun)

      {:ok, <<112, terms::binary>>} ->
        {control, used} = :erlang.binary_to_term(terms, [:used])
        rest = binary_part(terms, used, byte_size(terms) - used)
        message = if rest == "", do: nil, else: :erlang.binary_to_term(rest)
        fun.({control, message}) || try_receive_control(raw, fun)

      {:error, reason} ->
        {:error, reason}
    end
  end

  @doc "Waits until the other side has closed the connection."
  def closed?(raw, timeout_ms \\ @timeout_ms) do
    case carrier().recv(raw.socket, 0, timeout_ms) do
      {:ok, _packet} -> closed?(raw, timeout_ms)
      {:error, :timeout} -> false
      {:error, _closed} -> true
    end
  end

  @doc "Closes all that is open."
  def close(raw) do
    for socket <- [raw.socket, raw.listener], socket, do: carrier().close(socket)
    if raw.epmd, do: :gen_tcp.close(raw.epmd)
    :ok
  end

  @doc "Sends no more."
  def shutdown(raw), do: carrier().shutdown(raw.socket, :write)

  @doc "Sets the framing: 2, 4 or `:raw`."
  def set_packet(raw, packet) do
    case carrier() do
      :ssl -> :ssl.setopts(raw.socket, packet: packet)
      :gen_tcp -> :inet.setopts(raw.socket, packet: packet)
    end
  end

  defp accept(listener) do
    case carrier() do
      :gen_tcp ->
        :gen_tcp.accept(listener, @timeout_ms)

      :ssl ->
        {:ok, socket} = :ssl.transport_accept(listener, @timeout_ms)
        :ssl.handshake(socket, @timeout_ms)
    end
  end

  defp sockname(listener) do
    case carrier() do
      :gen_tcp -> :inet.sockname(listener)
      :ssl -> :ssl.sockname(listener)
    end
  end

  defp carrier, do: if(Carrier.tls?(), do: :ssl, else: :gen_tcp)

  # Over TLS a BEAM node's handshake has packets with longer lengths.
  defp carrier_opts(side) do
    [
      Carrier.family()
      | if(Carrier.tls?(), do: [packet: 4] ++ Carrier.ssl_opts(side), else: [packet: 2])
    ]
  end

  defp address(%TenonNode{name: name}), do: Carrier.address(name)
  defp address(name), do: Carrier.address(name)

  defp port(%TenonNode{port: port}), do: port

  defp port(name) do
    [alive, _host] = name |> to_charlist() |> :string.split(~c"@")
    {:port, port, _version} = :erl_epmd.port_please(alive, Carrier.address(name))
    port
  end

  # The name stands there as long as the socket is open.
  defp register_in_epmd(name, port) do
    [alive, _host] = name |> to_string() |> String.split("@")
    {:ok, socket} = :gen_tcp.connect({127, 0, 0, 1}, epmd_port(), [:binary, active: false])
    size = byte_size(alive)
    body = <<120, port::16, 77, 0, 6::16, 5::16, size::16, alive::binary, 0::16>>
    :ok = :gen_tcp.send(socket, [<<byte_size(body)::16>>, body])
    {:ok, <<118, 0, _creation::32>>} = :gen_tcp.recv(socket, 6, @timeout_ms)
    socket
  end

  defp epmd_port, do: String.to_integer(System.get_env("ERL_EPMD_PORT") || "4369")

  defp digest(cookie, challenge), do: :crypto.hash(:md5, [cookie, to_string(challenge)])

  defp creation, do: :rand.uniform(0xFFFFFF) + 3
end
