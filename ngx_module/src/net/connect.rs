//! Connects to an address, without waiting.

use std::io;

use super::address::Address;
use super::connection::Connection;

/// A connection to `address`.
pub async fn connect(address: &Address) -> io::Result<Connection> {
    let connection = Connection::begin(address)?;
    std::future::poll_fn(|cx| connection.poll_writable(cx)).await;
    if connection.is_unwanted() {
        return Err(io::ErrorKind::NotConnected.into());
    }
    connection.0.connect_result()?;
    // Requests are written whole, so there is nothing to wait for.
    connection.0.set_no_delay();
    Ok(connection)
}
